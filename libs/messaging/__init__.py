"""Events between services: outbox, relay, inbox, consumer, versioned copies, dead letters."""
