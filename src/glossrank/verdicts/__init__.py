"""What people said of answers: stored, counted, made into training pairs. Needs the extra [serve]."""
