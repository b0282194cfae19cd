"""Knows tenants, applications with their keys, subjects and policies, and publishes them."""
