"""DSPs: how many sessions a module carries (`capacity`, data in `tables`), and the channels of a farm (`channels`)."""
