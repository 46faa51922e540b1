"""The plugins that ship with dlroverd. They use the public interface alone, as anyone's do."""
