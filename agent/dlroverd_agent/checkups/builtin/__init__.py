"""The node checks that ship with dlroverd. They use the public interface, as anyone's do, and `dlroverd.probes`."""
