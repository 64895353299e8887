"""What every part of the package stands on: errors, device, files, faces, project, worker processes."""
