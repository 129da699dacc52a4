"""Many images made and exported in one go, after the vendor's template ACS-ECS-BulkyCreateAndExportImage."""
