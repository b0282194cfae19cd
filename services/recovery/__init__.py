"""Gets people back in who lost their authenticator, and sees the reset through to its end."""
