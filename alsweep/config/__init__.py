"""What the user asks for: frozen, validated values, cheap to import."""
