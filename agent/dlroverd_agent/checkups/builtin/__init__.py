"""The node checks that ship with dlroverd. They use the public interface alone, as anyone's do."""
