"""What AnimeGen's torch plugins share. Import the module you need; this package itself imports nothing."""
