"""What an owner pays: an hour of an accelerator, shared between classes of tokens, and its energy."""
