"""What the pictures are good for: a segmenter, ejection fractions, and whether synthetic echoes help to train one."""
