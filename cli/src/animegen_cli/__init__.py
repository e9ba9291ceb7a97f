"""The animegen command."""
