"""The report: what a run left on disk, read into tidy objects and drawn; nothing here trains or needs torch."""
