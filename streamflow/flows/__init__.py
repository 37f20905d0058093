"""The description that users write: `Flow`, its ends, and how it is run."""
