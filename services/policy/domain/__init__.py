"""The rules of policy: values in, values out."""
