"""Results for readers: one report, four ways to write it."""
