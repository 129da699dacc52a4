"""What puts disks and a machine together: instances are made, started, stopped, released, their disks made anew."""
