"""Files in which makers of tokens, other systems and phones hand over secrets, read into rows."""
