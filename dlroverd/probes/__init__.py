"""What is read off a host in more than one place: by `dlroverctl doctor`, and by node checks."""
