"""What this plugin offers: the interpolator ``rife``. Light: neither torch nor numpy is imported here."""
