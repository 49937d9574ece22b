"""The read side (CQRS): what a tenant sold, kept ready from events. Answers say how old they are."""
