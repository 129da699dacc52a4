"""The long pipelines between disks and repositories: capture, restore, export."""
