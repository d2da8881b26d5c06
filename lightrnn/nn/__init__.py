"""Networks: layers over one flat vector of parameters, run forward and back over packed batches."""
