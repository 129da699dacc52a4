"""What was answered to a ClientToken, so that a repeated call makes nothing new."""
