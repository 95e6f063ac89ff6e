"""The label sweep: the same episodes under many label designs, each replayed, before there is any model."""
