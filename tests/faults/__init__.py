"""Crashes and faults: every flow, killed around every call to Mollie and every commit, and with every call spoilt.

What there is to kill and to spoil is not listed: each flow runs once and is counted (`steps`), then again for each of
its steps (`matrix`). The table of the README is made from what these runs show (`table`): python -m tests.faults
"""
