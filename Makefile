# make VERB ARGS="OPTIONS" does what `cargo mk VERB OPTIONS` does; see mk/.

VERBS := setup build run test bench gdb pcap doc clean symbolize

.PHONY: help $(VERBS)
.DEFAULT_GOAL := help

help: mk
	@cargo mk help $(ARGS)

$(VERBS): mk
	@cargo mk $@ $(ARGS)

# The tool itself, built where its progress is seen.
.PHONY: mk
mk:
	@cargo build --package mk

# An unknown verb: mk says which there are. (The Makefile is no target.)
Makefile: ;
%: mk
	@cargo mk $@ $(ARGS)
