// Statistics of a span of time: SampleCount, Sum, Average, Minimum, Maximum, pNN, tm, tc, ts, wm, IQM,
// PR(a:b) and the ranges TM(..), TC(..), TS(..), WM(..). Pure.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/metrics.h"

namespace bastide::services::cw {

class Statistic {
 public:
  static Result<Statistic> parse(std::string_view text);  // InvalidParameterValue

  // Nothing where the values are not known, as percentiles need them.
  std::optional<double> of(const store::MetricCell& cell) const;
  bool percentile() const { return kind_ == Kind::percentile; }
  double percent() const { return low_; }
  const std::string& text() const { return text_; }

 private:
  enum class Kind {
    count,
    sum,
    average,
    minimum,
    maximum,
    percentile,
    mean,
    share,
    samples,
    total,
    winsorized
  };
  Kind kind_ = Kind::average;
  std::string text_;
  double low_ = 0, high_ = 100;  // per cent, or values where `fixed_`
  bool fixed_ = false, open_low_ = false, open_high_ = false;
};

}  // namespace bastide::services::cw
