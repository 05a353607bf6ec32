# make VERB ARGS="OPTIONS" does what `cargo mk VERB OPTIONS` does; see mk/.

VERBS := setup build run test faults bench crossover gdb pcap doc clean symbolize

.PHONY: help $(VERBS)
.DEFAULT_GOAL := help

help $(VERBS):
	@cargo mk $@ $(ARGS)

# An unknown verb: mk says which there are. (The Makefile itself is no target.)
Makefile: ;
%:
	@cargo mk $@ $(ARGS)
