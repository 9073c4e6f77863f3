.PHONY: lint
lint:
