"""Fine-tuning. Needs the extra [train]; ``recipe`` alone can be imported without it."""
