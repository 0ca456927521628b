// Stands in for bcm2835-gpiomem of Raspberry Pi OS, which Debian's kernel lacks: a device that lets programs map the
// registers of the GPIOs, and no other memory.
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/module.h>

// On a Pi 3.
#define GPIO_REGISTERS 0x3f200000

static int major;
static struct class *class;

static int gpiomem_mmap(struct file *file, struct vm_area_struct *area)
{
	area->vm_page_prot = pgprot_device(area->vm_page_prot);
	return vm_iomap_memory(area, GPIO_REGISTERS, PAGE_SIZE);
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.mmap = gpiomem_mmap,
};

static int __init gpiomem_init(void)
{
	struct device *device;

	major = register_chrdev(0, "gpiomem", &operations);
	if (major < 0)
		return major;
	class = class_create("bcm2835-gpiomem");
	if (IS_ERR(class)) {
		unregister_chrdev(major, "gpiomem");
		return PTR_ERR(class);
	}
	device = device_create(class, NULL, MKDEV(major, 0), NULL, "gpiomem");
	if (IS_ERR(device)) {
		class_destroy(class);
		unregister_chrdev(major, "gpiomem");
		return PTR_ERR(device);
	}
	return 0;
}

module_init(gpiomem_init);
MODULE_LICENSE("GPL");
