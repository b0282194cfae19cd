"""What the containers of docker-compose.yml need before the services start."""
