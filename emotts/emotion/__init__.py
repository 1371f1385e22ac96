"""The emotion space: labels, the specification grammar, the learned map, the acoustic mapping."""
