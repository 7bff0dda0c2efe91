"""Sentence templates of the training text: words separated by spaces, slots in braces, punctuation as its own word.

Office meetings, customer service and IT operations. The words of the templates join the vocabulary, so that the
random word strings cover them in other surroundings too.
"""

from __future__ import annotations

MEETING = """
{date} {clock} 我们 在 {city} 开会 ， 讨论 {proj} 项目 的 进展 。
请 {name} 介绍 一下 {proj} 的 情况 ， 然后 {name} 补充 。
{name} 负责 {proj} ， {name} 负责 {proj} ， 大家 有 问题 吗 ？
这个 项目 的 预算 是 {money} ， 目前 已经 使用 了 {percent} 。
会议 纪要 由 {name} 整理 ， {date} 之前 发给 {dept} 。
{dept} 的 {name} 说 ， {prod} 的 需求 还 没有 确认 。
下 一个 议题 是 {proj} ， 请 {dept} 汇报 。
我们 需要 在 {date} 之前 完成 {prod} 的 开发 和 测试 。
{name} ， 你 觉得 这个 方案 怎么样 ？
我 同意 {name} 的 意见 ， 但是 成本 太 高 了 。
风险 主要 有 三个 ， 首先 是 时间 ， 其次 是 预算 ， 最后 是 人员 。
今天 的 会议 就 到 这里 ， 谢谢 大家 。
{proj} 的 进度 比 计划 慢 了 {small} 天 ， 原因 是 什么 ？
第 {small} 季度 的 销售 收入 是 {money} ， 增长 了 {percent} 。
{city} 分公司 的 利润 下降 了 {percent} ， 需要 分析 原因 。
关于 {prod} 的 价格 ， {dept} 有 什么 建议 ？
{brand} 项目 由 {dept} 牵头 ， {dept} 配合 。
{brand} 系统 计划 在 {date} 上线 ， 请 {name} 做好 准备 。
我们 下周 去 {city} 拜访 客户 ， 谁 一起 去 ？
{name} 提出 了 {small} 个 问题 ， 我们 逐条 讨论 。
这个 月 一共 完成 了 {count} 个 任务 ， 完成率 是 {percent} 。
请 各 部门 在 {date} {clock} 之前 提交 总结 。
请问 {brand} 平台 什么 时候 可以 验收 ？
{dept} 认为 方案 可行 ， {dept} 没有 意见 。
如果 大家 没有 问题 ， 我们 就 按照 这个 方案 执行 。
{name} 明天 请假 ， 由 {name} 主持 会议 。
会议室 在 {small} 楼 ， 请 大家 提前 {small} 分钟 到 。
为了 保证 质量 ， 我们 决定 推迟 {small} 周 发布 。
上次 会议 的 决定 执行 了 吗 ？
{brand} 的 用户 数量 达到 了 {count} ， 比 去年 增加 了 {percent} 。
采购 {count} 台 {prod} ， 单价 {money} ， 合计 {money} 。
合同 金额 是 {money} ， {date} 付款 。
我们 讨论 第 {small} 个 议题 ， {proj} 的 预算 。
{name} 汇报 了 {proj} 的 进度 ， 领导 表示 满意 。
现在 开始 开会 ， 请 大家 把 手机 调成 静音 。
{city} 的 项目 由 {name} 负责 ， 计划 {date} 完成 。
大家 还 有 什么 意见 吗 ？
以上 是 {dept} 的 汇报 ， 请 领导 批示 。
本周 的 重点 工作 是 {act} {prod} 和 {act} {serv} 。
下次 会议 定 在 {date} {clock} ， 地点 是 {city} 。
"""

SERVICE = """
您好 ， 这里 是 客服中心 ， 请问 有 什么 可以 帮 您 ？
您好 ， 我 的 {prod} {prob} ， 怎么办 ？
请 提供 您 的 订单 号码 ， 我 帮 您 查询 一下 。
我 的 订单 号码 是 {d8} ， 手机 号码 是 {d11} 。
您 的 {prod} 已经 发货 了 ， 预计 {date} 到达 {city} 。
请 稍等 ， 我 帮 您 转接 {dept} 。
非常 抱歉 ， 给 您 带来 了 不便 ， 我们 马上 处理 。
请问 您 贵姓 ？ 我 叫 {name} 。
我 想 申请 退款 ， 一共 {money} 。
这个 {prod} 的 价格 是 {money} ， 可以 开 发票 吗 ？
您 的 问题 已经 记录 ， 工号 {d4} 为 您 服务 ， 再见 。
{prod} 什么 时候 可以 恢复 正常 ？
请 对 我们 的 服务 做出 评价 ， 满意 请 按 一 ， 不 满意 请 按 二 。
{brand} 的 {prod} 怎么 安装 ？
我 上周 买 的 {brand} {prod} 坏 了 ， 能不能 换 一台 ？
您 反映 的 问题 我们 已经 收到 ， {date} 之前 给 您 答复 。
请问 这个 {prod} 的 保修期 是 多久 ？
退货 需要 {small} 个 工作日 ， 请 您 耐心 等待 。
您 可以 登录 网站 ， 在 订单 页面 查看 物流 信息 。
您 的 账号 余额 是 {money} ， 请 及时 充值 。
{brand} 和 {prod} 哪个 更 {adj} ？
送货 地址 是 {city} ， 联系人 是 {name} ， 电话 是 {d8} 。
没问题 ， {date} 给 您 答复 。
您 的 会员 有效期 到 {date} ， 需要 续费 吗 ？
感谢 您 的 来电 ， 祝 您 生活 愉快 。
"""

OPERATIONS = """
{serv} 服务 {prob} ， 请 {name} 检查 一下 日志 。
服务器 的 {abbr} 使用率 超过 了 {percent} ， 请 马上 {act} 。
请 {act} {serv} ， 然后 {act} {proj} 。
{city} 机房 的 {serv} 出现 故障 ， 影响 了 {count} 个 用户 。
{abbr} 接口 返回 错误 ， 错误码 是 {d3} 。
新 版本 增加 了 {count} 行 代码 ， 修改 了 {small} 个 问题 。
{date} {clock} {act} {prod} ， 请 大家 提前 做好 备份 。
数据库 备份 已经 完成 ， 一共 {count} 条 记录 。
防火墙 端口 {d4} 没有 打开 ， 需要 申请 权限 。
{prod} 的 识别 准确率 达到 了 {percent} 。
模型 训练 用 了 {small} 个 小时 ， 损失 降低 到 零 点 {d2} 。
{brand} 集群 有 {small} 台 服务器 ， 每台 有 {small} 块 {abbr} 。
{abbr} 的 地址 填写 错误 ， 请 重新 配置 。
这台 机器 的 {abbr} 温度 太 高 ， 是不是 风扇 坏 了 ？
请 把 {abbr} 文件 发给 {name} ， 抄送 {dept} 。
{name} 写 的 {abbr} 脚本 运行 了 {small} 分钟 。
{abbr} 的 升级 包 已经 上传 ， 请 {dept} 验收 。
{brand} 的 {abbr} 接口 什么 时候 开放 ？
{abbr} 和 {abbr} 的 价格 分别 是 {money} 和 {money} 。
昨天 晚上 {clock} ， {serv} 重启 了 {small} 次 。
请 在 {abbr} 系统 里 填写 申请 。
网络 延迟 大约 {small} 毫秒 ， 基本 正常 。
告警 已经 恢复 ， 原因 是 {prob} 。
请问 {abbr} 是 什么 ？
{dept} 的 {abbr} 使用率 比 上周 低 。
{abbr} 有 {small} 个 版本 ， 我们 用 的 是 {abbr} 。
今天 的 {abbr} 比 昨天 多 {count} 个 。
{name} 把 {abbr} 和 {prod} 都 {act} 了 。
请 打开 {abbr} 页面 ， 然后 点击 {act} 按钮 。
"""

GENERAL = """
你好 ， {name} 在 吗 ？
{name} 和 {name} {date} 去 {city} 出差 。
{prod} 和 {prod} 哪个 比较 {adj} ？
这个 问题 比较 {adj} ， 需要 {dept} 和 {dept} 一起 解决 。
系统 现在 非常 {adj} ， 没有 问题 。
好的 。
可以 。
谢谢 。
不行 ， 权限 不足 。
是的 ， 我 知道 了 。
为什么 {prod} 这么 {adj} ？
{city} 今天 天气 怎么样 ？
{city} 明天 下雨 吗 ？
{small} 加 {small} 等于 多少 ？
请 把 {proj} 的 文档 发给 {name} ， 谢谢 。
{dept} 招聘 了 {small} 名 同事 ， {date} 开始 培训 。
如果 {prob} ， 请 联系 {dept} 的 {name} ， 电话 是 {d8} 。
{city} 到 {city} 的 火车票 多少 钱 ？
从 {city} 到 {city} 大约 {small} 公里 ， 开车 需要 {small} 个 小时 。
{name} 的 生日 是 {date} ， 我们 一起 吃饭 吧 。
今天 气温 是 {small} 度 ， 天气 很 好 。
他 今年 {small} 岁 ， 在 {city} 工作 。
你 吃饭 了 吗 ？
我 觉得 {adj} 最 重要 。
这份 报告 一共 {small} 页 ， 第 {small} 页 有 错误 。
房间 的 面积 是 {small} 点 {d1} 平方米 。
{brand} 的 总部 在 {city} ， 员工 有 {count} 人 。
昨天 的 会议 你 参加 了 吗 ？
我们 公司 成立 于 {year} 年 ， 到 现在 已经 {small} 年 了 。
谁 负责 {brand} 项目 ？
"""

TEMPLATES: tuple[tuple[str, ...], ...] = tuple(
    tuple(line.split()) for line in (MEETING + SERVICE + OPERATIONS + GENERAL).strip().split("\n") if line
)
