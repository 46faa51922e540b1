"""What ended a rank, which rank's end caused the others', and how far its node is to blame.

An ordered table: the first row that matches an end names its kind, and the row's name is kept with it. The rows are
split by subject; `table.py` puts them in order.
"""

from dlroverd.core.classify.blame import attribute as attribute
from dlroverd.core.classify.blame import blames_node as blames_node
from dlroverd.core.classify.blame import is_echo as is_echo
from dlroverd.core.classify.table import classify as classify
from dlroverd.core.classify.table import succeeded as succeeded
