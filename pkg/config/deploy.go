package config

// Reference returns the Task or the Pipeline that is run in place of commands; nil for none.
func (p *Deploy) Reference() *Reference {
	if p.Task != nil {
		return p.Task
	}
	return p.Pipeline
}
