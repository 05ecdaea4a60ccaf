"""What operators watch a home by: figures of the published copy and of its files, as Prometheus reads them."""
