"""HTTP: problem answers, application keys, signed calls between services, health, servers."""
