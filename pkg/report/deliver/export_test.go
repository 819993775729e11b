package deliver

// Waiting returns how many runs wait to be reported.
func (d *Deliverer) Waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.runs)
}
