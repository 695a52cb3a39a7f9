"""The commands of the configuration modes that this product knows: one table a mode."""
