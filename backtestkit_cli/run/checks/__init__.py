"""What `check` asks of a strategy: does it look ahead, how much history does it need, can it earn its costs."""
