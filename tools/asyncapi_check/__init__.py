"""Has AsyncAPI's own parser read the documents of contracts/asyncapi."""
