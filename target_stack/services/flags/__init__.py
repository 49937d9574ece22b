"""The source of feature flags: flagd definitions, set by operators and controllers, followed by every service."""
