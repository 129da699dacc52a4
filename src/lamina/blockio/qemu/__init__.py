"""Files of images in the formats of other products, and how `qemu-img` makes disks of them and back."""
