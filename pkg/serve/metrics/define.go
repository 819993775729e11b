package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Row is what the reference says of a metric.
type Row struct {
	Name, Type string
	Labels     []string
	Help       string
}

// Reference returns a row for each metric of Sentry's own, in their order.
func (m *Metrics) Reference() []Row { return m.rows }

const namespace = "sentry"

// define notes what the reference says of a metric, and returns its whole name.
func (m *Metrics) define(kind, name, help string, labels []string) string {
	name = namespace + "_" + name
	m.rows = append(m.rows, Row{name, kind, labels, help})
	return name
}

func (m *Metrics) gauge(name, help string) prometheus.Gauge {
	return m.gauges(name, help).WithLabelValues()
}

func (m *Metrics) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: m.define("gauge", name, help, labels), Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	return m.counters(name, help).WithLabelValues()
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.define("counter", name, help, labels), Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) histogram(name, help string, buckets []float64) prometheus.Observer {
	return m.histograms(name, help, buckets).WithLabelValues()
}

// histograms have classic buckets and, for who scrapes them, native ones. How fine those are is bounded by their number.
func (m *Metrics) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: m.define("histogram", name, help, labels), Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 80, NativeHistogramMinResetDuration: time.Hour,
	}, labels)
	m.registry.MustRegister(v)
	return v
}
