"""A machine that runs PTX: what a GPU may do with a kernel, one instruction after the other.

`parse` reads the text of a kernel, `rules` says what each instruction does, `shadow` remembers who
touched which memory and finds what no order holds apart, `interpreter` runs all threads of the
blocks that are resident in an order that a seed draws, and `device` stands in for the module
numba.cuda and for NVIDIA's driver.

"PTX ISA" is NVIDIA's "Parallel Thread Execution ISA", version 8.8; sections are given by title.
"""
