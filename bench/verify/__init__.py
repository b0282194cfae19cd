"""What one POST /v1/verify costs, beside a FastAPI route that does nothing on the same core."""
