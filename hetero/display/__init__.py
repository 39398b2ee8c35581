"""What people read: text and pages that nothing foreign can break, figures that equal data draw equally."""
