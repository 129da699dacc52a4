"""Automatic snapshot policies: when they run, on which disks, and what goes when a disk has too many.

A policy's points in time are planned by pure functions (`schedule`, `retention`); `due` finds what is due and writes
it down, `run` is the task that starts the snapshots, `forget` drops old records of runs.
"""
