"""Raw datasets as others wrote them: folders, descriptions and files, believed after a check."""
