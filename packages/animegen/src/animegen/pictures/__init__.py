"""Pictures: sizes and letterboxes, the contact sheet, overlays, the sample pair."""
